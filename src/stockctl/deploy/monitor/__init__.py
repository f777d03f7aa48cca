"""What Prometheus and Grafana are told: alert rules, a dashboard, metrics in a file."""
