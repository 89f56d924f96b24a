"""Training on a data set, by one process or by many that act as one.

``team``: the processes; ``data``: what they all see; ``beginning``: what the network begins with;
``shares`` and ``packed``: which clips each takes, read ahead; ``batch_loss``: the loss of
a batch, whoever computes its parts; ``adamw``: the optimiser and its rate; ``norms`` and
``recompute``: what the network needs for that; ``learner``: one step; ``averaged``: the running
mean of the weights; ``checkpoints`` and ``run_folder``: what lies on the disk; ``data_digest``: by
which data are known again; ``loop``: the steps of a run; ``dry_run``: what a run would take.
"""
