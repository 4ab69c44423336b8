"""What an AWS API call does, in the words of an access event: tables from CloudTrail's `eventName` to `action`.

Used by `cloudtrail`. Exact names come first, then the verb the name starts with, then `readOnly`. The names are AWS's
own (service authorization reference); the version suffix of Lambda's names (`UpdateFunctionCode20150331v2`) is cut off.
"""

from __future__ import annotations

import re

from pipeline.events import Action

_VERSION_SUFFIX = re.compile(r"\d{8}(v\d+)?$")

_NAMES: dict[Action, tuple[str, ...]] = {
    "login": (
        "ConsoleLogin", "AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "AssumeRoot", "SwitchRole",
        "GetSessionToken", "GetFederationToken", "GetSigninToken", "CheckMfa", "Authenticate", "UserAuthentication",
        "ExternalIdPDirectoryLogin", "GetRoleCredentials", "CredentialChallenge", "CredentialVerification",
    ),
    "log_control": (
        "StopLogging", "StartLogging", "CreateTrail", "UpdateTrail", "DeleteTrail", "PutEventSelectors",
        "PutInsightSelectors", "DeleteEventDataStore", "UpdateEventDataStore", "StopEventDataStoreIngestion",
        "CreateFlowLogs", "DeleteFlowLogs", "DeleteLogGroup", "DeleteLogStream", "PutRetentionPolicy",
        "PutBucketLogging", "StopConfigurationRecorder", "DeleteConfigurationRecorder", "PutDeliveryChannel",
        "DeleteDeliveryChannel", "StartActivityStream", "StopActivityStream", "DeleteResolverQueryLogConfig",
        "DisassociateResolverQueryLogConfig", "DeleteModelInvocationLoggingConfiguration", "DeleteDetector",
        "PutModelInvocationLoggingConfiguration", "DeleteLoggingConfiguration", "PutLoggingConfiguration",
    ),
    "audit_query": ("LookupEvents", "GetQueryResults", "StartQuery"),
    "grant": (
        "AttachUserPolicy", "AttachRolePolicy", "AttachGroupPolicy", "PutUserPolicy", "PutRolePolicy", "PutGroupPolicy",
        "AddUserToGroup", "CreateAccessKey", "CreateLoginProfile", "UpdateLoginProfile", "AddRoleToInstanceProfile",
        "UpdateAssumeRolePolicy", "AddPermission", "CreateGrant", "CreateAccountAssignment", "AddRoleToDBInstance",
        "AddRoleToDBCluster", "CreateServiceSpecificCredential", "UploadSSHPublicKey", "SendSSHPublicKey",
    ),
    "policy_change": (
        "PutBucketPolicy", "DeleteBucketPolicy", "PutBucketAcl", "PutObjectAcl", "PutBucketPublicAccessBlock",
        "DeleteBucketPublicAccessBlock", "PutPublicAccessBlock", "DeletePublicAccessBlock", "PutKeyPolicy",
        "PutResourcePolicy", "DeleteResourcePolicy", "SetRepositoryPolicy", "CreatePolicy", "DeletePolicy",
        "CreatePolicyVersion", "DeletePolicyVersion", "SetDefaultPolicyVersion", "DetachUserPolicy", "DetachRolePolicy",
        "DetachGroupPolicy", "DeleteUserPolicy", "DeleteRolePolicy", "DeleteGroupPolicy", "RemoveUserFromGroup",
        "RemoveRoleFromInstanceProfile", "RemovePermission", "PutPolicy", "UpdateAccountPasswordPolicy",
        "DeleteAccountPasswordPolicy", "PutUserPermissionsBoundary", "PutRolePermissionsBoundary",
        "DeleteUserPermissionsBoundary", "DeleteRolePermissionsBoundary", "DeactivateMFADevice", "LeaveOrganization",
        "CreateSAMLProvider", "UpdateSAMLProvider", "DeleteSAMLProvider", "CreateTrustAnchor", "DeleteTrustAnchor",
        "AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress", "RevokeSecurityGroupIngress",
        "RevokeSecurityGroupEgress", "AuthorizeDBSecurityGroupIngress", "RevokeDBSecurityGroupIngress",
        "CreateNetworkAclEntry", "DeleteNetworkAclEntry", "ReplaceNetworkAclEntry", "PutBucketEncryption",
        "DeleteBucketEncryption", "DisableEbsEncryptionByDefault", "PutBucketReplication", "DeleteBucketReplication",
        "UpdateProjectVisibility",
    ),
    "share": (
        "ModifyImageAttribute", "ModifySnapshotAttribute", "ModifyDBSnapshotAttribute",
        "ModifyDBClusterSnapshotAttribute", "SharedSnapshotVolumeCreated", "CreateResourceShare",
        "AssociateResourceShare", "CreateDataShare", "AuthorizeDataShare",
    ),
    "export": (
        "CopySnapshot", "CopyDBSnapshot", "CopyDBClusterSnapshot", "CopyImage", "StartExportTask", "ExportImage",
        "ExportTableToPointInTime", "CreateInstanceExportTask", "CreateStoreImageTask", "UnloadTable", "StartExport",
        "CreateExportJob",
    ),
    "download": (
        "GetObject", "GetObjectTorrent", "SelectObjectContent", "DownloadDBLogFilePortion", "DownloadDBLogFile",
        "GetDownloadUrlForLayer", "GetRecords", "GetSnapshotBlock", "GetQueryResultsStream",
    ),
    "unmask": ("GetSecretValue", "BatchGetSecretValue", "GetPasswordData"),
    "decrypt": ("Decrypt", "ReEncrypt", "ReEncryptFrom", "DecryptData"),
    "create": ("CopyObject",),
    "delete": ("ScheduleKeyDeletion", "StartSecretVersionDelete", "EndSecretVersionDelete"),
}  # fmt: skip
_BY_NAME: dict[str, Action] = {name: action for action, names in _NAMES.items() for name in names}

_VERBS: dict[Action, tuple[str, ...]] = {
    "list": ("List",),
    "search": ("Search", "Query", "Scan", "Filter", "Lookup", "Select", "StartQuery"),
    "download": ("Download",),
    "export": ("Export",),
    "import": ("Import",),
    "read": ("Get", "Describe", "Head", "BatchGet", "BatchDescribe", "Check", "View", "Preview", "Verify", "Validate"),
    "create": (
        "Create", "Put", "BatchPut", "Run", "Allocate", "Register", "Generate", "Start", "Send", "Publish", "Upload",
        "Request", "Issue",
    ),
    "delete": ("Delete", "BatchDelete", "Terminate", "Deregister", "Release", "Purge", "Cancel", "Destroy"),
    "update": (
        "Update", "BatchUpdate", "Modify", "Set", "Change", "Enable", "Disable", "Associate", "Disassociate", "Attach",
        "Detach", "Add", "Remove", "Tag", "Untag", "Reboot", "Stop", "Restore", "Authorize", "Revoke", "Replace",
        "Reset", "Rotate", "Failover",
    ),
}  # fmt: skip
_BY_VERB: tuple[tuple[str, Action], ...] = tuple(
    sorted(
        ((verb, action) for action, verbs in _VERBS.items() for verb in verbs),
        key=lambda entry: -len(entry[0]),
    )
)


def action_of(event_name: str, *, read_only: bool, with_decryption: bool) -> Action:
    """The action of an API call; `with_decryption`: a parameter was asked for in clear text.

    Why tables and not only verbs: stopping the trail, granting rights and reading a secret begin with the same harmless
    verbs as everything else.
    """
    name = _VERSION_SUFFIX.sub("", event_name)
    if name in _BY_NAME:
        return _BY_NAME[name]
    if with_decryption and name.startswith("GetParameter"):
        return "unmask"
    for verb, action in _BY_VERB:
        if name.startswith(verb):
            return action
    return "read" if read_only else "update"
