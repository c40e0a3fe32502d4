// MQTT over WebSocket as a fuzzer speaks it (RFC 6455 §5.2): frames put together by hand, so that they can be wrong.
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';
import type { Dice } from './dice.ts';
import { mutateBytes } from './mutate-bytes.ts';

const upgrade = [
  ...['GET /mqtt HTTP/1.1', 'Host: localhost', 'Upgrade: websocket', 'Connection: Upgrade'],
  ...['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13'],
  ...['Sec-WebSocket-Protocol: mqtt', '', ''],
].join('\r\n');

/** A masked frame; opcode 2 is binary, and the last of its message. */
function frame(payload: Buffer, dice: Dice): Buffer {
  const opcode = dice.happens(0.95) ? 2 : dice.below(16);
  const last = dice.happens(0.95) ? 0x80 : 0;
  const { length } = payload;
  const head =
    length < 126 ? Buffer.of(0x80 | length) : Buffer.of(0xfe, length >> 8, length & 0xff);
  const mask = dice.bytes(4);
  const masked = payload.map((byte, at) => byte ^ (mask[at % 4] ?? 0));
  return Buffer.concat([Buffer.of(last | opcode), head, mask, masked]);
}

/** Sends packets, one or several in a frame, and ends after so long or when it is ended. */
export async function attackWebSocket(
  target: { port: number; ca: string; cert: string; key: string },
  packets: readonly Buffer[],
  dice: Dice,
  milliseconds: number,
): Promise<void> {
  const socket = connect({ host: '127.0.0.1', ...target });
  socket.on('error', () => undefined);
  await new Promise((resolve) => {
    socket.once('secureConnect', resolve);
    socket.once('close', resolve);
  });
  const hello = Buffer.from(upgrade);
  socket.write(dice.happens(0.9) ? hello : mutateBytes(hello, dice, packets));
  await new Promise((resolve) => {
    socket.once('data', resolve);
    socket.once('close', resolve);
    setTimeout(resolve, milliseconds);
  });
  for (const packet of packets) {
    const bytes = frame(packet.subarray(0, 60_000), dice);
    if (socket.writable)
      socket.write(dice.happens(0.1) ? mutateBytes(bytes, dice, packets) : bytes);
  }
  const until = performance.now() + milliseconds;
  while (!socket.closed && performance.now() < until) await sleep(5);
  socket.destroy();
}
