"""New migration: one page for each thing that is to be decided, a rail that shows them all.

The pages share one `kensho_tui.migration.draft.Draft`, which knows what is needed, complete or wrong.
"""
