// What goes to one connection within a turn of the event loop goes out together: one TLS record and one system call, not one for each.
import type { Connection } from 'aedes';

const held = new Set<Connection>();

/** Before a write. What is written to the connection from here to the end of the turn keeps its order and leaves then. */
export function holdTurn(conn: Connection): void {
  if (held.has(conn)) return;
  if (held.size === 0) setImmediate(release);
  held.add(conn);
  conn.cork();
}

function release(): void {
  for (const conn of held) conn.uncork();
  held.clear();
}
