/** The agent's tools: stand-ins for a search engine and a bank. */

export const toolNames = ["search", "send-money"] as const;

/** Tools that need a person's approval. */
export function isDangerous(tool: (typeof toolNames)[number]): boolean {
  return tool === "send-money";
}

/** @param idempotencyKey the same for every attempt of this call, so that money is sent once */
export function useTool(tool: (typeof toolNames)[number], argument: string, idempotencyKey: string): string {
  switch (tool) {
    case "search":
      return `found something about ${argument}`;
    case "send-money":
      return `sent ${argument} (reference ${idempotencyKey.split(":").at(-1)})`;
    default:
      return tool satisfies never;
  }
}
