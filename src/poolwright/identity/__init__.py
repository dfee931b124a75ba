"""Who may speak to the service, and how: TLS certificates, tokens, the secrets of service principals."""
