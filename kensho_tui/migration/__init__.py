"""What a job does: plan, mapping, preflight and steps, without knowing who runs it or who watches."""
