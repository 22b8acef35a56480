"""How a model learns: labelled frames, objectives, the guard and the loop."""
