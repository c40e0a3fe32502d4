// What one packet may ask for. MQTT bounds bytes only; these bound the work that bytes can cause.

export interface ReadLimits {
  /** Whose packets are read: a client may not send what only a server sends, and the reverse. */
  readonly from: 'client' | 'server';
  /** Topic filters in one SUBSCRIBE or UNSUBSCRIBE; more are refused with 0x97. */
  readonly filtersPerPacket: number;
  /** User properties in one packet (the will's count apart); more are refused with 0x97. */
  readonly userPropertiesPerPacket: number;
  /** Levels of a topic name (0x90) or filter (0x8f). */
  readonly topicLevels: number;
  /** Bytes of each string or binary value but topics and payloads: client id, user name, password, property; more are refused with 0x97. */
  readonly valueBytes: number;
}

/** For a server. 100 levels is what this broker has always allowed; nothing a device does needs more than the rest. */
export const clientPacketLimits: ReadLimits = Object.freeze({
  from: 'client',
  filtersPerPacket: 100,
  userPropertiesPerPacket: 100,
  topicLevels: 100,
  valueBytes: 65_535,
});
