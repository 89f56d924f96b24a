#!/bin/sh
# kernels.sh [PYTEST ARGS]: test the GPU kernels in Triton's interpreter, on Linux, where Triton is.
# In a process of their own, with Triton in a folder of its own: its library and Mesa's, which draws
# the windows of the other tests, hold an LLVM each, and a process with both ends in a crash.
set -eu
cd "$(dirname "$0")/.."
python=.venv/bin/python
folder=.venv/triton

[ "$(uname -s)" = Linux ] || exit 0
wanted="$(grep "^triton==" constraints.txt)"
if [ "$(cat "$folder/.installed" 2>/dev/null || true)" != "$wanted" ]; then
    echo "Installing $wanted …"
    rm -rf "$folder"
    "$python" -m pip install -qq --disable-pip-version-check --no-deps --target "$folder" "$wanted" || {
        echo "kernels: pip could not install $wanted; what it said is above" >&2
        exit 2
    }
    echo "$wanted" >"$folder/.installed"
fi
export KERNELS=1 PYTHONPATH="$folder" OMP_NUM_THREADS=1
"$python" -c "import triton" # the tests would only be skipped without it
exec "$python" -m pytest tests/engine/test_kernels_triton.py tests/engine/test_gpu_benchmark.py "$@"
