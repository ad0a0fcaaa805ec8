//! The answers that are problems (RFC 9457), one row each, under `/problems/host/`.

use http::StatusCode as S;
use nexus_runtime::Problem;

pub(crate) const NO_CREDENTIAL: Problem = Problem::new(
    "admin-token-required",
    S::UNAUTHORIZED,
    "operators show their token: `authorization: Bearer …` (NEXUS_ADMIN_TOKEN)",
);
pub(crate) const WRONG_CREDENTIAL: Problem =
    Problem::new("admin-token-wrong", S::UNAUTHORIZED, "this is not the operators' token");
pub(crate) const NO_CSRF: Problem = Problem::new(
    "csrf-token-required",
    S::FORBIDDEN,
    "an order of a page carries the page's own token: `x-csrf-token`",
);
pub(crate) const FORM: Problem =
    Problem::new("unreadable-form", S::BAD_REQUEST, "the form is none of these pages'");
pub(crate) const ROLE: Problem =
    Problem::new("role-required", S::FORBIDDEN, "your role does not allow this");
pub(crate) const NOT_FOUND: Problem =
    Problem::new("no-admin-route", S::NOT_FOUND, "nothing for operators is at this path");
pub(crate) const NO_COMPONENT: Problem =
    Problem::new("no-such-component", S::NOT_FOUND, "the manifest has no such component");
pub(crate) const METHOD: Problem = Problem::new(
    "method-not-allowed",
    S::METHOD_NOT_ALLOWED,
    "this path does not take this method",
);
pub(crate) const NOT_READY: Problem =
    Problem::new("not-ready", S::SERVICE_UNAVAILABLE, "the host is not ready");
pub(crate) const BODY: Problem =
    Problem::new("unreadable-body", S::BAD_REQUEST, "the body is not the JSON that is meant here");
pub(crate) const BODY_SIZE: Problem =
    Problem::new("body-too-large", S::PAYLOAD_TOO_LARGE, "the body is too large");

// Queues, schedules and jobs.
pub(crate) const DATABASE_AWAY: Problem =
    Problem::new("database-away", S::SERVICE_UNAVAILABLE, "the database is not there now");
pub(crate) const OPERATION_SLOW: Problem =
    Problem::new("operation-slow", S::SERVICE_UNAVAILABLE, "the database took too long");
pub(crate) const OPERATION_FAILED: Problem =
    Problem::new("operation-failed", S::INTERNAL_SERVER_ERROR, "the host failed; see its log");
pub(crate) const QUERY: Problem =
    Problem::new("bad-query", S::BAD_REQUEST, "the query is not what this path takes");
pub(crate) const VALUE: Problem =
    Problem::new("bad-value", S::BAD_REQUEST, "the database refuses a value");
pub(crate) const ANSWER_SIZE: Problem =
    Problem::new("answer-too-large", S::BAD_REQUEST, "the answer would be too large");
pub(crate) const NO_QUEUE: Problem =
    Problem::new("no-such-queue", S::NOT_FOUND, "there is no such queue");
pub(crate) const NO_SCHEDULE: Problem =
    Problem::new("no-such-schedule", S::NOT_FOUND, "there is no such schedule");
pub(crate) const NO_JOB: Problem =
    Problem::new("no-such-job", S::NOT_FOUND, "there is no such job");
pub(crate) const FILTER: Problem = Problem::new(
    "filter-needed",
    S::UNPROCESSABLE_ENTITY,
    "say which messages: `filter` takes ids, topic, tenant_id, reason, since, before, or all: true",
);
pub(crate) const PURGE_OF_JOBS: Problem =
    Problem::new("purge-of-jobs", S::CONFLICT, "the messages of jobs are not purged");
pub(crate) const NO_CALENDAR: Problem =
    Problem::new("no-calendar", S::CONFLICT, "the expression of this schedule means nothing");
pub(crate) const STRETCH: Problem =
    Problem::new("bad-stretch", S::UNPROCESSABLE_ENTITY, "there is no backfill for this stretch");
pub(crate) const JOB_OVER: Problem =
    Problem::new("job-over", S::CONFLICT, "a job that has ended cannot be cancelled");
pub(crate) const NO_SENDING: Problem =
    Problem::new("queue-takes-no-message", S::CONFLICT, "nobody sends into this queue by hand");

// What happens.
pub(crate) const NO_INVOCATION: Problem =
    Problem::new("no-such-invocation", S::NOT_FOUND, "this call is not remembered");
pub(crate) const INVOKE_ANSWER: Problem =
    Problem::new("answer-unreadable", S::BAD_GATEWAY, "the component's answer has no end");
pub(crate) const STREAMS: Problem =
    Problem::new("too-many-streams", S::TOO_MANY_REQUESTS, "too many streams are open");
pub(crate) const NO_MATRIX: Problem =
    Problem::new("no-health-matrix", S::SERVICE_UNAVAILABLE, "core-os does not answer");

// Operators.
pub(crate) const OPERATOR_NAME: Problem = Problem::new(
    "operator-name",
    S::UNPROCESSABLE_ENTITY,
    "a name takes 1 to 63 of a-z, 0-9, dot, dash and underscore, a letter first; root is taken",
);
pub(crate) const OPERATOR_TAKEN: Problem =
    Problem::new("operator-exists", S::CONFLICT, "there is an operator of this name");
pub(crate) const NO_OPERATOR: Problem =
    Problem::new("no-such-operator", S::NOT_FOUND, "there is no such operator");

// Workers.
pub(crate) const NO_WORKER_TOKEN: Problem = Problem::new(
    "worker-token-required",
    S::UNAUTHORIZED,
    "workers show their token: `authorization: Bearer …` (NEXUS_WORKER_TOKEN)",
);
pub(crate) const WRONG_WORKER_TOKEN: Problem =
    Problem::new("worker-token-wrong", S::UNAUTHORIZED, "this is not the workers' token");
pub(crate) const NO_WORKER_ROUTE: Problem =
    Problem::new("no-worker-route", S::NOT_FOUND, "nothing for workers is at this path");
pub(crate) const POST_ONLY: Problem =
    Problem::new("method-not-allowed", S::METHOD_NOT_ALLOWED, "this path takes POST");
pub(crate) const NO_JOBS: Problem =
    Problem::new("jobs-unavailable", S::SERVICE_UNAVAILABLE, "the database is not there now");
pub(crate) const WORKERS_WAIT: Problem =
    Problem::new("too-many-workers", S::TOO_MANY_REQUESTS, "too many workers wait on this host");
pub(crate) const WORKER_REQUEST: Problem =
    Problem::new("bad-worker-request", S::BAD_REQUEST, "the call breaks a rule of the protocol");
pub(crate) const WORKER_FAILURE: Problem =
    Problem::new("worker-call-failed", S::INTERNAL_SERVER_ERROR, "the host failed; see its log");
pub(crate) const LEASE_LOST: Problem = Problem::new(
    "lease-lost",
    S::CONFLICT,
    "the lease is not held any more: drop the work, another may have it",
);
pub(crate) const NO_BUCKET: Problem = Problem::new(
    "bucket-not-granted",
    S::FORBIDDEN,
    "the job's service has no grant for this bucket",
);
pub(crate) const NO_OBJECT: Problem =
    Problem::new("no-such-object", S::NOT_FOUND, "the store has no such object");
pub(crate) const NO_STORE: Problem =
    Problem::new("store-unavailable", S::SERVICE_UNAVAILABLE, "the object store is away");
