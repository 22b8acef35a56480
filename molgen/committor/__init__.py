"""The committor: the chance that dynamics from a configuration reaches state B before A, learned from shots."""
