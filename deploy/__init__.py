"""accesstrail's deployment: the local stack and, later, compose and Kubernetes files."""
