"""Measurements that anyone can run: ``./dev bench NAME``. Figures are ratios of one paired run."""
