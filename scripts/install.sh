# Sourced by demo and test: makes .venv in the repository and installs molgen into it, once.
# Needs Python 3.11 or newer; MOLGEN_PYTHON names one where the search below finds none.

find_python() {
    local candidate
    for candidate in ${MOLGEN_PYTHON:+"$MOLGEN_PYTHON"} python3 python3.13 python3.12 python3.11 python; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            echo "$candidate"
            return 0
        fi
    done
    echo "molgen needs Python 3.11 or newer with its venv module; none was found." >&2
    echo "Install one, or name it: MOLGEN_PYTHON=/path/to/python3 $0" >&2
    return 1
}

# Changes whenever what would be installed may have changed.
install_fingerprint() {
    .venv/bin/python - <<'PYTHON'
import hashlib, pathlib, sys
parts = [pathlib.Path(name).read_bytes() for name in ("pyproject.toml", "constraints.txt")]
print(hashlib.sha256(b"\0".join([*parts, sys.version.encode(), str(pathlib.Path.cwd()).encode()])).hexdigest())
PYTHON
}

install_molgen() {
    local python stamp=.venv/molgen-installed
    if ! .venv/bin/python -c '' >/dev/null 2>&1; then
        python=$(find_python) || exit 2
        echo "Making .venv with $("$python" --version) ..." >&2
        rm -rf .venv
        "$python" -m venv .venv
    fi
    if [[ ! -f $stamp || $(<"$stamp") != "$(install_fingerprint)" ]]; then
        echo "Installing molgen and its dependencies into .venv (several minutes, once) ..." >&2
        rm -f "$stamp"
        # The variable reaches the build environment too, which -c does not.
        PIP_CONSTRAINT=constraints.txt .venv/bin/python -m pip install \
            --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]' >&2
        install_fingerprint >"$stamp"
    fi
}
