/** What callers without types may give: options that are none, options that are not there, and wrong values of each. */
import { expect } from "vitest";

/** For each option a value that it cannot have: a new option without one does not compile. */
type Wrong<Options> = Readonly<Record<keyof Options, unknown>>;

/** What a call is refused with. */
export async function refusalOf(call: () => unknown): Promise<string> {
  try {
    await call();
  } catch (error) {
    const { name, code, message } = error as Error & { readonly code?: string };
    return `${code ?? name}: ${message}`;
  }
  return "it was taken";
}

const noOptions: readonly unknown[] = [null, 5, "text", ["a"], new Map(), Promise.resolve({}), () => 1];

/**
 * Expects that each of these is refused by an error of ours that names it.
 * @param right options with which the call is right
 */
export async function expectRefusals<Options = never>(
  call: (options: never) => unknown,
  right: object,
  wrong: Wrong<Options>,
): Promise<void> {
  const ours = expect.stringMatching(/^(?:\w+_(?:invalid|uncloneable)|RehearsalError): /) as string;
  const given: [what: string, options: unknown][] = [
    ...noOptions.map((options): [string, unknown] => ["must be a plain object, not ", options]),
    ['has no option "odd"; it takes ', { ...right, odd: 1 }],
    ...Object.entries(wrong).map(([option, value]): [string, unknown] => [option, { ...right, [option]: value }]),
  ];
  for (const [what, options] of given) {
    const refusal = await refusalOf(() => call(options as never));
    expect([what, refusal]).toEqual([what, ours]);
    expect(refusal).toContain(what);
  }
}
