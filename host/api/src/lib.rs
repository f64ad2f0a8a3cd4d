//! The types of the admin API: requests, responses and errors, for the server, the command line and whatever
//! else speaks to a platform. The store has its own rows and makes these of them.
//!
//! A type here has what the OpenAPI document says of it: its doc comments are the descriptions there.

mod access;
mod alerts;
mod changes;
mod databases;
mod drafts;
mod error;
mod executions;
mod findings;
mod flags;
mod issues;
mod members;
mod series;
mod services;
mod specification;
mod tenants;
mod traces;
mod trigger_requests;
mod triggers;
mod usage;
mod versions;
mod workers;
mod workflows;

pub use access::{
    Actor, AuditEntry, AuditFilter, AuditFormat, ConsoleSession, NewToken, Role, RoleDefinition, RoleSettings,
    SignInClient, SigningKeyEntry, Token, TokenRole, TokenWithSecret,
};
pub use alerts::{Alert, AlertRule, Receiver, ReceiverTest, Silence};
pub use changes::{collect_changes, triggers_by_name};
pub use databases::{DatabaseQuery, DatabaseResult};
pub use drafts::{
    DRAFT_BYTES_MAX, DRAFT_FILE_BYTES_MAX, DRAFT_FILES_MAX, DRAFTS_MAX, Diagnostic, Draft, DraftBuild,
    DraftBuildRequest, DraftConflict, DraftContent, DraftSummary, check_draft_files,
};
pub use elias_telemetry::alert::{AlertCondition, AlertMatcher, AlertSeverity, SilenceSettings};
pub use error::{Code, Error, MAKE_ROOM, Result, is_full};
pub use executions::{
    ExecutionFilter, ExecutionRecord, FollowedLine, RecordedCalls, RecordedRun, RunningExecution, RunningFilter,
};
pub use findings::Finding;
pub use flags::{FeatureFlag, FlagRevision};
pub use issues::{
    ASSIGNEE_BYTES_MAX, IGNORED_COUNT_MAX, Issue, IssueChange, IssueFilter, IssueOccurrence, IssueState, IssueTotals,
    SecurityEvent, SecurityFilter, SecurityKind, SourceExcerpt, SourcePlace,
};
pub use members::{
    EMAIL_BYTES_MAX, Organization, OrganizationSettings, TEXT_BYTES_MAX, User, UserSettings, check_text, is_email,
    is_text,
};
pub use series::{MetricName, MetricQuery, MetricSeries, ServiceSeries};
pub use services::{
    DeployRequest, Deployment, DeploymentState, ExperimentReport, MirroringReport, ReleaseStatus, RolloutAction,
    Service, ServiceStatus,
};
pub use specification::{SPECIFICATION_FORMAT, Specification, SpecifiedDigests};
pub use tenants::{
    CPU_WEIGHT_DEFAULT, CPU_WEIGHT_MAX, Ceiling, EVENT_RETENTION_DEFAULT, EVENT_RETENTION_MAX, QuotaAction, Quotas,
    Tenant, TenantSettings,
};
pub use traces::{ExecutionTrace, Span, Trace, TraceFilter, TraceSummary};
pub use trigger_requests::{
    ChangedJobs, EnqueueRequest, EnqueuedJob, JobSelection, PublishedEvents, ReplayRequest, ReplaySelection,
    ReplayedEvents, TriggerFilter,
};
pub use triggers::{
    EventRecord, JobCounts, JobFilter, JobRecord, JobState, JobTrigger, QueueId, ScheduleDetails, ScheduleRecord,
    StepKind, StepRecord, StepState, SubscriptionRecord, TickOutcome, TickRecord,
};
pub use usage::{AdoptionFilter, AdoptionWeek, SdkVersion, UsageFilter, UsageRecord};
pub use versions::{Component, Diff, SmokeTest, UploadedVersion, Version, VersionSettings};
pub use workers::{
    WorkerAnswer, WorkerCondition, WorkerFilter, WorkerForkRequest, WorkerHealth, WorkerId, WorkerMessage,
    WorkerRollback, WorkerState, WorkerStatus, WorkerStopRequest, WorkerTurn, of_path_segment, path_segment,
};
pub use workflows::{WorkflowDetails, WorkflowRecord, WorkflowState};

/// The tenant that is there from the start, for a host with one team.
pub const DEFAULT_TENANT: &str = "default";
/// The Cedar schema that the policies of a role are validated against.
pub const ROLE_SCHEMA: &str = include_str!("roles.cedarschema");
/// Bytes of a role's policies.
pub const POLICY_BYTES_MAX: usize = 16 << 10;
/// Bytes of a secret's value.
pub const SECRET_BYTES_MAX: usize = 64 << 10;
