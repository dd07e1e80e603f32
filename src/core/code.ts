/** The codes of errors: stable, added and never changed; `src/http/problem.ts` gives each its status. */

/** Codes a run's or a step's error may carry. */
export type RunErrorCode =
  | "step_failed"
  | "step_timeout"
  | "step_crashed"
  | "step_interrupted"
  | "non_retryable"
  | "value_uncloneable"
  | "value_too_large"
  | "name_invalid"
  | "duration_invalid"
  | "limit_exceeded"
  | "map_failed"
  | "child_failed"
  | "handler_failed"
  | "handler_crashed"
  | "output_invalid"
  | "options_invalid"
  | "signal_invalid"
  | "run_timeout"
  | "start_expired"
  | "bailed"
  | "cancelled"
  | "terminated"
  | "version_missing"
  | "step_kind_changed"
  /** A call of `step` within the function of a step. */
  | "step_nested"
  | "webhook_unavailable"
  /** A step's `undo` is no longer in the code, or its own process died too often. */
  | "undo_missing"
  /** A query or an update made a call of `step` that it may not make. */
  | "query_impure";

/** Codes a request to the service may be refused with. */
export type ServiceErrorCode =
  | "workflow_not_found"
  | "run_not_found"
  | "run_exists"
  | "run_ended"
  | "run_not_ended"
  | "not_retryable"
  /** The run cannot go on again: another has the key of its singleton. */
  | "singleton_held"
  | "idempotency_conflict"
  | "input_invalid"
  | "id_invalid"
  | "label_invalid"
  | "cursor_invalid"
  | "webhook_not_found"
  | "webhook_expired"
  /** Its address was revoked; the wait behind it has another. */
  | "webhook_revoked"
  /** A repeated call. It is answered with 200: this code is only in the journal. */
  | "webhook_duplicate"
  | "webhook_rejected"
  | "body_invalid"
  | "not_waiting"
  | "query_not_found"
  | "query_failed"
  | "query_timeout"
  | "update_not_found"
  | "update_invalid"
  | "update_failed"
  | "run_paused"
  | "fork_invalid"
  | "step_not_found"
  /** An address that was to be notified of a run's end may not be called. */
  | "notify_invalid"
  /** A run that cannot be exported in its present state. */
  | "not_exportable"
  | "import_invalid"
  | "rate_limited"
  | "schedule_not_found"
  | "schedule_exists"
  | "schedule_in_code"
  | "schedule_invalid"
  | "schedule_limit"
  | "backfill_too_large"
  | "lane_not_found"
  | "shard_invalid"
  | "config_invalid"
  /** The caller is shown shapes only, and the call would show data, or send it somewhere. */
  | "payload_hidden"
  /** Stored with a key that ENCRYPTION_KEYS lacks; with bytes that cannot be right; by a newer version. */
  | "key_missing"
  | "journal_corrupt"
  | "journal_newer";

export type ErrorCode = RunErrorCode | ServiceErrorCode;
