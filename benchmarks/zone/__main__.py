"""`python -m benchmarks.zone`."""

from benchmarks.zone.run import main

if __name__ == "__main__":
    main()
