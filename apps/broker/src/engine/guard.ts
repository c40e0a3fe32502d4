// The boundary around one peer: whatever is thrown while something is done for it ends that peer, and nobody else notices.
import type { Connection } from './connection.ts';

export function guard(connection: Connection, work: () => void): void {
  try {
    work();
  } catch (error) {
    connection.fail(error);
  }
}
