/**
 * The development outbox: a Durable Object that keeps what would have been mailed, so that it can be
 * read back. `GET /outbox?to=&after=&limit=` answers `{ mails, next }`, and only where AUTH is "none".
 */
import { DurableObject } from "cloudflare:workers";
import type { Message } from "./mail.ts";
import { isDevelopment, settings } from "./settings.ts";

/** `seq` counts from 1 in the order of arrival; `sentAt` is RFC 3339 text. */
export type KeptMail = Message & { readonly seq: number; readonly key: string; readonly sentAt: string };

type Row = { seq: number; key: string; recipient: string; subject: string; body: string; sent_at: number };

const kept = 1000;
const maxPage = 200;
const loopback = new Set(["localhost", "127.0.0.1", "[::1]"]);

export class OutboxObject extends DurableObject {
  constructor(ctx: DurableObjectState, bindings: Cloudflare.Env) {
    super(ctx, bindings);
    ctx.storage.sql.exec(`CREATE TABLE IF NOT EXISTS mail (
      seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, recipient TEXT NOT NULL,
      subject TEXT NOT NULL, body TEXT NOT NULL, sent_at INTEGER NOT NULL)`);
  }

  /** Keeps the mail, unless one with this key was kept before. */
  put(message: Message, key: string): { readonly duplicate: boolean } {
    const inserted = this.ctx.storage.sql
      .exec<{ seq: number }>(
        "INSERT INTO mail (key, recipient, subject, body, sent_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING seq",
        key,
        message.to,
        message.subject,
        message.text,
        Date.now(),
      )
      .toArray();
    const seq = inserted[0]?.seq;
    if (seq === undefined) return { duplicate: true };
    this.ctx.storage.sql.exec("DELETE FROM mail WHERE seq <= ?", seq - kept);
    return { duplicate: false };
  }

  /** Mails above `after`, oldest first; `to` narrows them to one recipient. */
  list(query: { readonly to: string | null; readonly after: number; readonly limit: number }): KeptMail[] {
    return this.ctx.storage.sql
      .exec<Row>(
        "SELECT * FROM mail WHERE seq > ?1 AND (?2 IS NULL OR recipient = ?2) ORDER BY seq LIMIT ?3",
        query.after,
        query.to,
        query.limit,
      )
      .toArray()
      .map(toMail);
  }

  /** How many mails were kept from `sinceAt` up to, not including, `untilAt` (epoch ms), and for how many recipients. */
  count(sinceAt: number, untilAt: number): { readonly mails: number; readonly recipients: number } {
    return this.ctx.storage.sql
      .exec<{ mails: number; recipients: number }>(
        "SELECT count(*) AS mails, count(DISTINCT recipient) AS recipients FROM mail WHERE sent_at >= ? AND sent_at < ?",
        sinceAt,
        untilAt,
      )
      .one();
  }
}

/** Answers `GET /outbox`; null for every other path. */
export async function outboxRoute(request: Request): Promise<Response | null> {
  const url = new URL(request.url);
  if (url.pathname !== "/outbox") return null;
  const { OUTBOX } = settings();
  const allowed = isDevelopment() && loopback.has(url.hostname);
  if (!allowed || OUTBOX === undefined || request.method !== "GET") return problem(404, "There is nothing here");
  const after = wholeNumber(url.searchParams.get("after"), 0);
  const limit = wholeNumber(url.searchParams.get("limit"), 100);
  if (after === null || limit === null || limit < 1 || limit > maxPage) {
    return problem(400, `after is a whole number, limit one from 1 to ${maxPage}`);
  }
  const to = url.searchParams.get("to");
  const mails = await OUTBOX.getByName("outbox").list({ to, after, limit });
  return Response.json({ mails, next: mails.length === limit ? (mails.at(-1)?.seq ?? null) : null });
}

function wholeNumber(text: string | null, otherwise: number): number | null {
  if (text === null) return otherwise;
  return /^\d{1,15}$/.test(text) ? Number(text) : null;
}

function problem(status: number, title: string): Response {
  const headers = { "Content-Type": "application/problem+json" };
  return Response.json({ type: "about:blank", title, status }, { status, headers });
}

function toMail(row: Row): KeptMail {
  return {
    seq: row.seq,
    key: row.key,
    to: row.recipient,
    subject: row.subject,
    text: row.body,
    sentAt: new Date(row.sent_at).toISOString(),
  };
}
