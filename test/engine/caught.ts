/** What a call in a handler throws or rejects with, as tests look at it. */
export type Caught = Error & {
  code?: string;
  step?: string;
  attempts?: number;
  errors?: (Error & { index: number; code: string; step: string })[];
};

export async function caught(call: () => unknown): Promise<Caught> {
  try {
    await call();
  } catch (error) {
    return error as Caught;
  }
  throw new Error("nothing was thrown");
}
