export { createAlertFollower, type AlertFollower } from './alert-follower.ts';
export type { AlertChange, AlertChannel } from './channel.ts';
export { conditionFinding, parseAlertKey, type Finding } from './finding.ts';
export { loadAlertChannels } from './load-channels.ts';
export type { AlertRules, ShareThreshold, TimeThreshold } from './rules.ts';
export type { WatchedAuthority } from './things.ts';
export { createUnusableChannel } from './unusable-channel.ts';
