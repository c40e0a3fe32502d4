// Which texts may be names and client ids.
import { isMqttText } from '@keyline/mqtt';

/** Mosquitto's own limit, which is one above what a string in a packet can have. */
const longestOctets = 65_536;

/** Whether Mosquitto takes it for a name: what it says of any other is "not valid UTF-8", also when it is too long. */
export function isName(text: string): boolean {
  return (
    text.length <= longestOctets && Buffer.byteLength(text) <= longestOctets && isMqttText(text)
  );
}
