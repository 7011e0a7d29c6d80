"""The carriers that do not depend on an engine. Both the embedded engine and the AWS engine use these carriers."""
