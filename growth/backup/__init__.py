"""Backup and restore: warehouse, Airflow's metadata, contracts and reports, in a folder a backup."""
