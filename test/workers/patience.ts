/** How long those under test wait for an answer, where a test decides it. */
import { vi } from "vitest";

/** Whoever waits for an answer for so long, as of a moment ago, waits for ever, until the mocks are restored. */
export function patient(ms: number): void {
  const wait = globalThis.setTimeout;
  vi.spyOn(globalThis, "setTimeout").mockImplementation((act: () => void, after = 0) => {
    return wait(act, after > ms / 2 && after <= ms ? 2 ** 31 - 1 : after);
  });
}
