"""Coverage-guided fuzzing of the disk readers (`./dev fuzz`)."""
