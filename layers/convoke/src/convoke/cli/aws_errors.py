"""Convert errors of AWS and of boto3 to texts for the user."""

from __future__ import annotations

from botocore.exceptions import NoRegionError


def aws_error_text(error: Exception) -> str:
    """Return one line that describes the error."""
    if isinstance(error, NoRegionError):
        return "no AWS region is configured: set AWS_REGION, or `region` in the AWS configuration files"
    return f"AWS: {' '.join(str(error).split())}"
