import { Queue, type Ticket } from "../../packages/metasrv/src/fold/queue.js";
import { noLimit, type Share } from "../../packages/metasrv/src/model/ticket-content.js";

/** A ticket that waits and shares without limit goes before the first that waits for the lock alone. */
export class ReadersFirstQueue extends Queue {
  override append(ticket: Ticket): void {
    super.append(ticket);
    let writer = this.waiting;
    while (writer !== undefined && writer.content.limit !== 1) {
      writer = writer.next;
    }
    const last = ticket.previous;
    if (writer === undefined || last === undefined || ticket.admitted || ticket.content.limit !== noLimit) {
      return;
    }
    last.next = undefined;
    this.tail = last;
    ticket.previous = writer.previous;
    ticket.next = writer;
    if (writer.previous === undefined) {
      this.head = ticket;
    } else {
      writer.previous.next = ticket;
    }
    writer.previous = ticket;
    if (this.waiting === writer) {
      this.waiting = ticket;
    }
  }
}

/** The limit of the first ticket counts, whatever those beside it allow. */
export class FirstLimitQueue extends Queue {
  protected override hasRoom({ permits, limit }: Share): boolean {
    return this.permits + permits <= (this.head?.content.limit ?? limit);
  }
}

/** The limit of the ticket that comes counts, whatever those that hold allow. */
export class NewestLimitQueue extends Queue {
  protected override hasRoom({ permits, limit }: Share): boolean {
    return this.permits + permits <= limit;
  }
}
