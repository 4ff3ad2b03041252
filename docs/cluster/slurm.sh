#!/bin/bash
# Two nodes, a worker on each: sbatch docs/cluster/slurm.sh, in a checkout that all nodes see.
#SBATCH --job-name=metasgd
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
# Two minutes before the time is up a checkpoint is saved; submitted again, the job goes on from it.
#SBATCH --signal=TERM@120

. .venv/bin/activate
srun python -m metasgd_tf.train \
  --flagfile=configs/omniglot_5way1shot_meta_sgd.flags \
  --data_dir=/shared/tensorflow_datasets --model_dir=/shared/runs/omniglot \
  --distribution=multi_worker --cluster=slurm
