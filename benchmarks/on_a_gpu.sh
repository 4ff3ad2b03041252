#!/bin/sh
# What to run where a GPU is: each prepared program against JAX's own compiler, then, where TensorFlow
# sees the GPU, the meta-step itself. It takes under 8 minutes.
#
#     for case in omniglot omniglot_20way5shot omniglot_maxpool mini_imagenet_5shot resnet12; do
#       python -m benchmarks.program --case=$case --output=programs/$case.npz
#     done                                          # On any machine with this project's environment.
#     benchmarks/on_a_gpu.sh programs results        # On the GPU's; JAX for CUDA is enough there.
set -u
programs=${1:?"name the folder of the programs"}
results=${2:?"name the folder for the results"}
python=${PYTHON:-python3}
mkdir -p "$results"
nvidia-smi --query-gpu=name,driver_version --format=csv > "$results/device.csv" 2>&1
for file in "$programs"/*.npz; do
  name=$(basename "$file" .npz)
  "$python" -m benchmarks.run_program "$file" --peers=jax_vmap,torch_func \
    --json="$results/$name.json" > "$results/$name.txt" 2>&1 || echo "failed: $name"
done
if "$python" -c 'import tensorflow, sys; sys.exit(not tensorflow.config.list_physical_devices("GPU"))' \
  2> /dev/null; then
  "$python" -m benchmarks.meta_step --cases=omniglot,omniglot_maxpool,mini_imagenet --rounds=3 \
    --json="$results/meta_step.json" > "$results/meta_step.txt" 2>&1
  "$python" -m pytest -q -n 0 tests/trainers/supervised/test_task_batching.py \
    > "$results/tests.txt" 2>&1
fi
cat "$results"/*.txt
