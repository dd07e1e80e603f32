/**
 * The rows of a buffered signal: its sender, its payload in parts, and the digest that repeated signals are compared by;
 * sealed where there are keys. Claims are up to the buffer.
 */
import type { Vault } from "../core/cipher/cipher.ts";
import type { ErrorCode } from "../core/code.ts";
import { HoldfastError } from "../core/error.ts";
import type { SignalRequest } from "../core/service/service.ts";
import { cut } from "./part.ts";
import { resealed, resealedParts } from "./reseal.ts";
import type { Resealed } from "./reseal.ts";

/** The stored digest of the id cannot be read, and so not compared. */
export type Unreadable = { readonly kind: "unreadable"; readonly code: ErrorCode; readonly message: string };

/** A buffered broadcast; its signal carries no key. */
export type Held = { readonly id: string; readonly signal: SignalRequest };

export type SignalRow = { number: number; id: string; name: string; sender: string };

export class Signals {
  readonly #sql: SqlStorage;
  readonly #vault: Vault;

  constructor(sql: SqlStorage, vault: Vault) {
    this.#sql = sql;
    this.#vault = vault;
  }

  insert(id: string, signal: SignalRequest, digest: string | null, expiresAt: number): void {
    const { number } = this.#sql
      .exec<{ number: number }>(
        `INSERT INTO broadcasts (id, name, sender, digest, expires_at, finished) VALUES (?, ?, ?, ?, ?, ?)
         RETURNING number`,
        id,
        signal.name,
        this.#vault.seal(senderOf(signal), placeOf(id, "sender")),
        digest === null ? null : this.#vault.seal(digest, placeOf(id, "digest")),
        expiresAt,
        // Without a digest it is never sent again.
        digest === null ? 1 : 0,
      )
      .one();
    for (const [part, text] of cut(signal.payload, this.#vault).entries()) {
      const sealed = this.#vault.seal(text, placeOf(id, `part ${part}`));
      this.#sql.exec("INSERT INTO payloads (number, part, text) VALUES (?, ?, ?)", number, part, sealed);
    }
  }

  /** Whether the known digest of the id is the same as this one. */
  isSame(id: string, known: string | null, digest: string | null): boolean | Unreadable {
    try {
      return (known === null ? null : this.#vault.open(known, placeOf(id, "digest"))) === digest;
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      return { kind: "unreadable", code: error.code, message: error.message };
    }
  }

  /** @throws HoldfastError as the vault does */
  open({ number, id, name, sender }: SignalRow): Held {
    const parts = this.#partsOf(number).map((text, part) => this.#vault.open(text, placeOf(id, `part ${part}`)));
    const payload = parts.join("") as SignalRequest["payload"];
    return { id, signal: { name, payload, ...toSender(this.#vault.open(sender, placeOf(id, "sender"))) } };
  }

  /** Seals the signal with the newest key. @throws HoldfastError as the vault does */
  reseal({ number, id, sender, digest }: SignalRow & { readonly digest: string | null }): Resealed {
    const named = resealed(this.#vault, sender, placeOf(id, "sender"));
    const told = digest === null ? null : resealed(this.#vault, digest, placeOf(id, "digest"));
    const held = this.#partsOf(number);
    const parts = resealedParts(this.#vault, held, (part) => placeOf(id, `part ${part}`)) ?? [];
    if (named !== null || told !== null) {
      this.#sql.exec(
        "UPDATE broadcasts SET sender = ?, digest = ? WHERE number = ?",
        ...[named ?? sender, told ?? digest, number],
      );
    }
    for (const [part, text] of parts.entries()) {
      this.#sql.exec("INSERT OR REPLACE INTO payloads (number, part, text) VALUES (?, ?, ?)", number, part, text);
    }
    return { rows: 1 + held.length, sealed: (named === null && told === null ? 0 : 1) + parts.length };
  }

  #partsOf(number: number): string[] {
    const parts = this.#sql.exec<{ text: string }>("SELECT text FROM payloads WHERE number = ? ORDER BY part", number);
    return Array.from(parts, ({ text }) => text);
  }
}

/** The place that a sealed column of a signal is bound to. */
function placeOf(id: string, what: string): string {
  return `the ${what} of the buffered signal ${id}`;
}

/** Who sent a signal and why, as JSON. */
type Sender = Pick<SignalRequest, "by" | "role" | "reason" | "trace">;

function senderOf({ by, role, reason, trace }: SignalRequest): string {
  return JSON.stringify({ by, role, reason, trace } satisfies Record<keyof Sender, unknown>);
}

/** Rows of older versions hold the name alone, which never begins like an object. */
function toSender(text: string): Sender {
  return text.startsWith("{") ? (JSON.parse(text) as Sender) : { by: text };
}
