/** Who judges a call of a webhook beyond yes and no: the senders we know (objects/verify). */
import type { Delivery } from "./step.ts";

export interface Verifier {
  (call: Delivery): Promise<boolean>;
  /** How it is called where webhooks are listed. */
  readonly preset: string;
  /** Why the call is refused, in words that tell nothing but what is public; null where it is not. */
  judge(call: Delivery): Promise<string | null>;
  /**
   * What tells this delivery from any other, of what the sender has signed or its credential vouches for: sent
   * once more, by the sender or by somebody who listened, it is the same. Null where there is no such thing.
   */
  identify(call: Delivery): string | Uint8Array | null;
  /** The header that is the credential itself: who has read it can call, so it goes no further than the judge. */
  readonly credential?: string;
}

export function isVerifier(verify: unknown): verify is Verifier {
  const isSomething = typeof verify === "function" || (typeof verify === "object" && verify !== null);
  return isSomething && "judge" in verify && "identify" in verify;
}
