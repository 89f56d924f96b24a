#!/bin/sh
# setup.sh [EXTRA]: make .venv where there is none and install the package, editable, with EXTRA
# and the versions of constraints.txt. Done once; again when what is installed would change.
set -eu
cd "$(dirname "$0")/.."
extra="${1:-}"
venv=.venv

stop() {
    echo "setup: $1" >&2
    exit 2
}

venv_python() {
    for path in "$venv/bin/python" "$venv/Scripts/python.exe"; do
        if [ -x "$path" ] && "$path" -c "import pip" 2>/dev/null; then
            echo "$path"
            return
        fi
    done
}

find_python() {
    for name in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14 python}; do
        if "$name" -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null; then
            echo "$name"
            return
        fi
    done
}

make_venv() {
    base="$(find_python)"
    [ -n "$base" ] || stop "no Python 3.11 or newer was found${PYTHON:+ as $PYTHON}; install one \
(Debian: apt-get install python3 python3-venv) or name it: make PYTHON=/path/to/python3.12"
    log="$(mktemp)"
    if ! "$base" -m venv --clear "$venv" >"$log" 2>&1; then
        package="$("$base" -c "import sys; print('python%d.%d-venv' % sys.version_info[:2])")"
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            echo "Installing $package …"
            { apt-get update && apt-get install -y "$package"; } >"$log" 2>&1 || true
        fi
        "$base" -m venv --clear "$venv" >"$log" 2>&1 ||
            stop "$base cannot make a virtual environment; install $package and try again \
($(tail -n 1 "$log"))"
    fi
    rm -f "$log"
}

python="$(venv_python)"
if [ -z "$python" ]; then
    make_venv
    python="$(venv_python)"
    [ -n "$python" ] || stop "$venv was made without pip; install python3-venv and delete $venv"
fi

stamp="$venv/.installed-${extra:-run}"
wanted="$(pwd) $(cat setup.cfg pyproject.toml constraints.txt .ci/setup.sh | cksum)"
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
    exit 0
fi
echo "Installing into $venv, which takes a minute or two …"
"$python" -m pip install -qq --disable-pip-version-check \
    --constraint constraints.txt --editable ".${extra:+[$extra]}" ||
    stop "pip could not install the package; what it said is above"
if [ "$extra" = test ]; then # by itself: it names another OpenCV than ours, and would overwrite that
    "$python" -m pip install -qq --disable-pip-version-check --no-deps \
        "$(grep "^trackeval==" constraints.txt)" ||
        stop "pip could not install TrackEval; what it said is above"
fi
echo "$wanted" >"$stamp"
