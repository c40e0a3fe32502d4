// The first packet of a connection, read before anybody else has it, and put back: for a listener on which the CONNECT says who it is.
import type { Duplex } from 'node:stream';
import { clientPacketLimits, readPacket, readPacketLength, type Packet } from '@keyline/mqtt';

/**
 * Of strangers, each of whom may hold so much until it is judged. A will that is larger has to be left out, or to come with a
 * certificate.
 */
const mostBytes = 32 * 1024;

/**
 * @returns the packet, `unreadable` when it is none (the engine says so to the client), or undefined when the connection is over
 * @param conn nobody must have read from it
 */
export function readFirstPacket(conn: Duplex): Promise<Packet | 'unreadable' | undefined> {
  return new Promise((resolve) => {
    let bytes: Buffer = Buffer.alloc(0);
    const finish = (packet: Packet | 'unreadable' | undefined): void => {
      conn.off('readable', read);
      conn.off('close', end);
      conn.off('end', end);
      if (packet !== undefined && bytes.length > 0) conn.unshift(bytes);
      // A stream forgets in the next turn that somebody listened for "readable", and flows again only then.
      setImmediate(() => {
        resolve(packet);
      });
    };
    const end = (): void => {
      finish(undefined);
    };
    const read = (): void => {
      for (let chunk = readChunk(conn); chunk !== undefined; chunk = readChunk(conn)) {
        bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
        const packet = parse(bytes);
        if (packet === undefined) continue;
        finish(packet);
        return;
      }
    };
    conn.on('readable', read);
    conn.once('close', end);
    conn.once('end', end);
    read();
  });
}

function readChunk(conn: Duplex): Buffer | undefined {
  return (conn.read() as Buffer | null) ?? undefined;
}

function parse(bytes: Buffer): Packet | 'unreadable' | undefined {
  try {
    const length = readPacketLength(bytes, 0, bytes.length, mostBytes);
    if (length === 0 || bytes.length < length) return undefined;
    return readPacket(bytes, 0, length, 5, clientPacketLimits);
  } catch {
    return 'unreadable'; // the engine reads it again, and says what is wrong
  }
}
