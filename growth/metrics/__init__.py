"""What is going on, as Prometheus metrics; see docs/monitoring.md."""
