// Strings on the wire (MQTT 5 §1.5.4): decoded only after every byte was looked at.
import { isUtf8 } from 'node:buffer';
import type { ProtocolVersion } from './packets.ts';
import type { ReadLimits } from './read-limits.ts';
import { refuse } from './rules.ts';
import {
  countLevels,
  findMisplacedWildcard,
  isMqttText,
  isSharedFilter,
  parseSharedFilter,
} from './topic.ts';

// What a byte of a string is. Only of these kinds can be said at once that they are allowed; the rest needs the whole string.
const plain = 0;
const slash = 1;
const wildcard = 2;
const special = 3;

const kindOfByte = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte === 0x2f) return slash;
  if (byte === 0x2b || byte === 0x23) return wildcard;
  return byte < 0x20 || byte >= 0x7f ? special : plain;
});

/**
 * The string of the bytes from `start` to `end`.
 * @throws {MalformedPacket} 0x81 for what is not UTF-8, U+0000, control characters and non-characters
 */
export function decodeText(
  bytes: Buffer,
  start: number,
  end: number,
  version: ProtocolVersion | undefined,
): string {
  for (let at = start; at < end; at += 1) {
    if (kindOfByte[bytes[at] ?? 0] === special) return decodeSpecial(bytes, start, end, version);
  }
  return start === end ? '' : bytes.toString('latin1', start, end);
}

function decodeSpecial(
  bytes: Buffer,
  start: number,
  end: number,
  version: ProtocolVersion | undefined,
): string {
  if (!isUtf8(bytes.subarray(start, end))) refuse('notUtf8', { version });
  const text = bytes.toString('utf8', start, end);
  if (text.includes('\u0000')) refuse('nulCharacter', { version });
  if (!isMqttText(text)) refuse('controlCharacter', { version });
  return text;
}

/**
 * The topic name of the bytes from `start` to `end`, in one pass over them. An empty one is for the caller to judge.
 * @throws {MalformedPacket} 0x81; 0x90 above `limits.topicLevels`
 */
export function decodeTopicName(
  bytes: Buffer,
  start: number,
  end: number,
  version: ProtocolVersion | undefined,
  limits: ReadLimits,
): string {
  let levels = 1;
  let isAscii = true;
  for (let at = start; at < end; at += 1) {
    const kind = kindOfByte[bytes[at] ?? 0];
    if (kind === plain) continue;
    if (kind === slash) levels += 1;
    else if (kind === wildcard) refuse('topicWildcard', { version });
    else isAscii = false;
  }
  if (levels > limits.topicLevels) refuse('topicLevels', { version, found: String(levels) });
  if (!isAscii) return decodeSpecial(bytes, start, end, version);
  return start === end ? '' : bytes.toString('latin1', start, end);
}

/**
 * The topic filter of the bytes from `start` to `end`, as sent: `$share/name/` is judged and kept.
 * @throws {MalformedPacket} 0x81; 0x8f above `limits.topicLevels`
 */
export function decodeTopicFilter(
  bytes: Buffer,
  start: number,
  end: number,
  version: ProtocolVersion | undefined,
  limits: ReadLimits,
): string {
  if (start === end) refuse('emptyTopic', { version });
  const text = decodeText(bytes, start, end, version);
  let filter = text;
  if (isSharedFilter(text)) {
    const shared = parseSharedFilter(text);
    // Without a second slash there is no filter; otherwise it is the name that is wrong, or the filter that is empty.
    if (shared === undefined) {
      refuse(/^\$share\/[^/+#]+(\/)?$/.test(text) ? 'shareFilter' : 'shareName', { version });
    }
    filter = shared.filter;
  }
  const levels = countLevels(filter);
  if (levels > limits.topicLevels) refuse('filterLevels', { version, found: String(levels) });
  const misplaced = findMisplacedWildcard(filter);
  if (misplaced === '#') refuse('multiLevelWildcard', { version });
  if (misplaced === '+') refuse('singleLevelWildcard', { version });
  return text;
}
