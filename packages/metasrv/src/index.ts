// For those who run a server inside their own process.
export { type RunningServer, startServer } from "./server.js";
export {
  type Backend,
  completeConfig,
  type Config,
  ConfigError,
  type ConfigInput,
  type Setting,
  type StoreConfig,
} from "./config.js";
export { type Address } from "./config-address.js";
export { defaultLimits, type Limits } from "./locks/limits.js";
export { version } from "./version.js";

// For those who use the locks without the network, or write and test another ticket log.
export { LockStore, type LockStoreOptions } from "./locks/lock-store.js";
export { LockError, type LockErrorReason, type LockState } from "./locks/lock-errors.js";
export type { Claim, ClaimListener, ClaimRequest, Grant, LossReason } from "./locks/claim.js";
export { type Clock, systemClock, type Timer } from "./locks/clock.js";
export { createMemoryTicketLog } from "./log/memory-ticket-log.js";
export { createEtcdTicketLog } from "./log/etcd/etcd-ticket-log.js";
export type {
  LockMode,
  LockName,
  LogEvent,
  LogListener,
  LogListing,
  Member,
  MembershipListener,
  OpResult,
  StoredMember,
  StoredTicket,
  Ticket,
  TicketId,
  TicketLog,
  TicketOp,
} from "./log/ticket-log.js";
