// The dynamic-security protocol of Mosquitto: the engine a broker answers with, and the client an admin asks with.
export { createDynsecClient, type DynsecClient, type DynsecClientOptions } from './client.ts';
export { openDynsecEngine, type DynsecEngine } from './engine.ts';
export type { ConnectionInfo, Executed, Kicks, PresenceQuestion, Session } from './session.ts';
