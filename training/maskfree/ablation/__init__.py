"""``maskfree ablate``: the paper's comparisons, run again on one's own clips.

``groups.py`` says what is compared with what; ``clips.py`` and ``scene.py`` on which videos;
``job.py`` is one training with one score, which ``child.py`` and ``job_process.py`` do in a process
of its own and ``cache.py`` keeps; ``grid.py`` and ``runner.py`` do all of them; ``differences.py``,
``report.py`` and ``plot.py`` say what came of it; ``command.py`` is the command.
"""
