"""How well mart.churn_risk foresees: its score on a day in the past, against what then happened."""
