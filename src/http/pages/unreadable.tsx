/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: the page of a run whose journal cannot be read: why, what the list last knew of it, and what can be done. */
import { hasCode } from "../../core/error.ts";
import type { HoldfastError } from "../../core/error.ts";
import type { RunSnapshot } from "../../core/run/run.ts";
import type { Service } from "../../core/service/service.ts";
import { maxLimit } from "../query.ts";
import type { Call } from "../route.ts";
import { DeleteDialog } from "./actions.tsx";
import { ActionButton } from "./dialog.tsx";
import { Icon } from "./icon.tsx";
import { orNull } from "./absence.ts";
import { answer, Page } from "./page.tsx";
import { Status } from "./status.tsx";

const codes = ["journal_corrupt", "journal_newer", "key_missing"] as const;

export function isUnreadable(error: unknown): error is HoldfastError {
  return hasCode(error, ...codes);
}

/** A relative of the run that is shown; null where it is gone or cannot be read, which its own page tells. */
export async function readRelative({ runs }: Service, id: string): Promise<RunSnapshot | null> {
  return await orNull(runs.read(id), "run_not_found", ...codes);
}

export async function unreadablePage(call: Call, { code, message }: HoldfastError): Promise<Response> {
  const { service, request, caller, param } = call;
  const id = param("id");
  const path = `/v1/runs/${encodeURIComponent(id)}`;
  // Newer ones may have ids that begin with it.
  const { runs } = await service.runs.list({ idPrefix: id, limit: maxLimit });
  const known = runs.find((run) => run.id === id) ?? null;
  const page = (
    <Page request={request} caller={caller} title={id} section="runs">
      <div class="stack run-page">
        <div class="head run-head">
          <div class="run-title">
            {known === null ? null : <a href={`/workflows/${encodeURIComponent(known.workflow)}`}>{known.workflow}</a>}
            <div class="title-line">
              <h1 class="mono">{id}</h1>
            </div>
            {known === null ? null : (
              <p class="row-of">
                <Status status={known.status} /> <span class="faint">when it was last read</span>
              </p>
            )}
          </div>
          <div class="push">
            <ActionButton dialog="delete" caller={caller} role="admin" look="danger" sign="close">
              Delete
            </ActionButton>
          </div>
        </div>
        <section class="card now is-failed" aria-label="Why it cannot be shown">
          <div class="now-line">
            <Icon sign="warning" />
            <p class="sentence">This run cannot be read: {message}</p>
          </div>
          <p class="now-more">
            <code class="tag">{code}</code> Other runs go on.{" "}
            <a href={`${path}/history`}>What can be read of its history</a>
          </p>
        </section>
        <DeleteDialog path={path} />
      </div>
    </Page>
  );
  return await answer(page, { status: 503 });
}
