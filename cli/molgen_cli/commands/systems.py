"""`molgen systems`: the systems that ship with molgen."""

from molgen_cli import options as opt
from molgen_cli.output import print_json
from molgen_cli.session import guarded_run
from molgen_cli.tables import print_systems


def systems(as_json: opt.JsonOption = False) -> None:
    """List the built-in systems."""
    with guarded_run(None):
        from molgen.systems import load_system, system_names

        rows = []
        for name in system_names():
            system = load_system(name)
            rows.append(
                {
                    "name": name,
                    "particles": system.n_particles,
                    "temperature_k": system.temperature_k,
                    "description": system.definition.description,
                }
            )
        if as_json:
            print_json({"systems": rows})
        else:
            print_systems(rows)
