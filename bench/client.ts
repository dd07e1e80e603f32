/** What the bench's clients do: work side by side, and look at the clock. */

/** So many clients do so much between them, each one thing after the other. */
export async function share(amount: number, clients: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < amount) await work(next++);
  };
  await Promise.all(Array.from({ length: clients }, client));
}

export async function time(work: () => Promise<unknown>): Promise<number> {
  const before = performance.now();
  await work();
  return performance.now() - before;
}
