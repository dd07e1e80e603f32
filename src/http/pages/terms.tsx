/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: the terms of a workflow in words: retries, limits, how long its runs are kept. */
import { laneOf } from "../../core/lane/ticket.ts";
import type { RateTerms, WorkflowTerms } from "../../core/definition/terms.ts";
import { spanText } from "./span.ts";
import { addressOf } from "./window.tsx";

export function Terms({ terms, workflow }: { readonly terms: WorkflowTerms; readonly workflow: string }) {
  return (
    <dl class="rules">
      {termsInWords(terms, workflow).map(([name, text, lane]) => (
        <div>
          <dt>{name}</dt>
          <dd>
            {text}
            {lane === undefined ? null : (
              <>
                {", "}
                <a href={addressOf("/lanes", { lane })}>lane</a>
              </>
            )}
          </dd>
        </div>
      ))}
    </dl>
  );
}

/** The third is the one lane it is kept by, where there is one. */
type Term = readonly [name: string, text: string, lane?: string];

export function termsInWords(terms: WorkflowTerms, workflow: string): readonly Term[] {
  const { timeoutMs, retentionMs, limits, priority } = terms;
  const perStep = Object.entries(limits.perStep).map(([step, limit]) => `${step} at most ${limit} times`);
  return [
    ["Steps are retried", retryInWords(terms.retry)],
    ["A run may take", timeoutMs === null ? "as long as it needs" : `at most ${spanText(timeoutMs)}`],
    ["It may take", [`${limits.steps.toLocaleString("en-GB")} steps`, ...perStep].join(", ")],
    ["A finished run is kept", spanText(retentionMs)],
    ...flowInWords(terms, workflow),
    ...(priority === 0
      ? []
      : [["Priority", priority === "input" ? "depends on the input" : String(priority)] as const]),
  ];
}

function retryInWords(retry: WorkflowTerms["retry"]): string {
  if (retry === null) return "as a function of the workflow's decides";
  const { limit, delayMs, backoff, maxDelayMs, jitter } = retry;
  if (limit === 0) return "never";
  const times = limit === Infinity ? "without end" : limit === 1 ? "once" : `${limit} times`;
  const growth = {
    exponential: ", each delay twice the one before",
    linear: ", each delay longer by the first",
    constant: "",
  };
  const most = maxDelayMs === null || backoff === "constant" ? "" : `, at most ${spanText(maxDelayMs)}`;
  const spread = jitter === 0 ? "" : `, ±${Math.round(jitter * 100)} %`;
  return `${times}, first after ${spanText(delayMs)}${growth[backoff]}${most}${spread}`;
}

function flowInWords(terms: WorkflowTerms, workflow: string): Term[] {
  const { lane, concurrency, rateLimit, throttle, singleton, debounce } = terms;
  const each = (keyed: boolean): string => (keyed ? " for each key" : "");
  const words: Term[] = [];
  if (lane !== null)
    words.push(["Shares", `${lane.name}${lane.limit === null ? "" : `, ${lane.limit} at once`}`, lane.name]);
  if (concurrency !== null) {
    const { limit, scope, hold, keyed } = concurrency;
    const what = scope === "step" ? "executing steps" : hold ? "runs, waiting ones too" : "runs that do not wait";
    const text = `${limit} ${what}${each(keyed)}`;
    words.push(
      keyed ? ["At once", text] : ["At once", text, laneOf(scope === "step" ? "steps" : "concurrency", workflow)],
    );
  }
  const rate = ({ limit, periodMs, keyed }: RateTerms): string => `${limit} in any ${spanText(periodMs)}${each(keyed)}`;
  if (rateLimit !== null) words.push(["Starts beyond are refused", rate(rateLimit)]);
  if (throttle !== null) words.push(["Starts beyond wait", rate(throttle)]);
  if (singleton !== null) words.push(["One at a time", `${singletonWords[singleton.mode]}${each(singleton.keyed)}`]);
  if (debounce !== null) {
    const most = debounce.maxMs === null ? "" : `, at most ${spanText(debounce.maxMs)}`;
    words.push(["Starts are one within", `${spanText(debounce.periodMs)} of each other${most}${each(debounce.keyed)}`]);
  }
  return words;
}

const singletonWords = {
  skip: "a start beside it finds the run that exists",
  replace: "a start beside it replaces it",
  queue: "a start beside it waits for its end",
} as const;
