/**
 * Owns: the collector of traces: its configuration by OpenTelemetry's variables, and the meaning of its responses.
 * Does not own: which spans are sent, and when (exporter).
 */
import { HoldfastError } from "../../core/error.ts";
import { readRetryAfter } from "../../core/definition/retry.ts";
import { toOtlp } from "../../core/trace/otlp.ts";
import type { Span } from "../../core/trace/span.ts";
import { variable } from "../address.ts";
import { inTime } from "../patience.ts";

export type Collector = {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The `service.name` of all spans. */
  readonly service: string;
};

/** `refused`: a repetition would be refused too. `busy`: can be retried, after `waitMs` if the response says so. */
export type Delivery =
  | { readonly kind: "taken" }
  | { readonly kind: "refused"; readonly why: string }
  | { readonly kind: "busy"; readonly why: string; readonly waitMs: number };

/** The timeout of a request: the default of OpenTelemetry's own exporters. */
const patienceMs = 10_000;
/** The statuses that are retryable according to OTLP. */
const passing: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/** The configured collector; null without an endpoint. @throws HoldfastError config_invalid, naming the variable */
export function findCollector(): Collector | null {
  const whole = text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
  const base = text("OTEL_EXPORTER_OTLP_ENDPOINT");
  if (whole === "" && base === "") return null;
  const url =
    whole === ""
      ? checkUrl("OTEL_EXPORTER_OTLP_ENDPOINT", base).replace(/\/*$/, "/v1/traces")
      : checkUrl("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", whole);
  const headers = { ...readHeaders("OTEL_EXPORTER_OTLP_HEADERS"), ...readHeaders("OTEL_EXPORTER_OTLP_TRACES_HEADERS") };
  return { url, headers, service: text("OTEL_SERVICE_NAME") || "holdfast" };
}

/** @throws if the collector could not be reached or took too long; AbortError when stopped */
export async function deliver(collector: Collector, spans: readonly Span[], stop: AbortSignal): Promise<Delivery> {
  return await inTime(stop, patienceMs, (signal) => post(collector, spans, signal));
}

async function post(
  { url, headers, service }: Collector,
  spans: readonly Span[],
  signal: AbortSignal,
): Promise<Delivery> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(toOtlp(spans, service)),
    // The headers may contain a secret that must not be sent to another address.
    redirect: "manual",
    signal,
  });
  const why = `${response.status} ${(await response.text()).slice(0, 200)}`.trim();
  if (response.ok) return { kind: "taken" };
  if (!passing.has(response.status)) return { kind: "refused", why };
  return { kind: "busy", why, waitMs: readRetryAfter(response.headers.get("retry-after"), Date.now()) ?? 0 };
}

function text(name: string): string {
  return (variable(name) ?? "").trim();
}

function checkUrl(name: string, value: string): string {
  if (URL.canParse(value) && /^https?:$/.test(new URL(value).protocol)) return value;
  throw new HoldfastError("config_invalid", `${name} must be an http(s) address`);
}

/** Parses `key=value,key2=value2` with percent-encoded values. Errors never contain a value. */
function readHeaders(name: string): Record<string, string> {
  const items = text(name)
    .split(",")
    .filter((item) => item.trim() !== "");
  const pairs = items.map((item, index) => {
    const [key = "", ...rest] = item.split("=");
    const value = decoded(rest.join("=").trim());
    if (/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(key.trim()) && value !== null) return [key.trim(), value] as const;
    const where = `${name}, header ${index + 1}`;
    throw new HoldfastError("config_invalid", `${where}: write name=value, the value percent-encoded printable ASCII`);
  });
  return Object.fromEntries(pairs);
}

function decoded(value: string): string | null {
  try {
    const text = decodeURIComponent(value);
    return /^[\x20-\x7e]+$/.test(text) ? text : null;
  } catch {
    return null;
  }
}
