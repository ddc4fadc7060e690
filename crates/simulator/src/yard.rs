//! The gate of a terminal: so many lorries at once, the others wait in the order in which they came.
//!
//! Nobody searches the queue. A ticket says after how many others its holder came; it may go in once that
//! many and one have been let in.

/// A terminal's gate.
#[derive(Clone, Debug)]
pub(super) struct Yard {
    /// Lorries that may go in at once.
    free: u32,
    /// The next ticket to be drawn.
    next: u32,
    /// Tickets below it may go in.
    admitted: u32,
}

/// A place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u32);

impl Yard {
    pub(super) fn new(bays: u32) -> Self {
        Self { free: bays, next: 0, admitted: 0 }
    }

    /// Comes to the gate.
    pub(super) fn draw(&mut self) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        if self.free > 0 {
            self.free -= 1;
            self.admitted += 1;
        }
        ticket
    }

    /// How many are to go in first; none are if the holder may go in.
    pub(super) fn ahead(&self, ticket: Ticket) -> Option<u32> {
        ticket.0.checked_sub(self.admitted)
    }

    /// One goes out.
    pub(super) fn leave(&mut self) {
        if self.admitted < self.next {
            self.admitted += 1;
        } else {
            self.free += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_go_in_as_they_came() {
        let mut yard = Yard::new(2);
        let tickets: Vec<Ticket> = (0..5).map(|_| yard.draw()).collect();
        let ahead = |yard: &Yard| tickets.iter().map(|ticket| yard.ahead(*ticket)).collect::<Vec<_>>();
        assert_eq!(ahead(&yard), [None, None, Some(0), Some(1), Some(2)]);
        yard.leave();
        assert_eq!(ahead(&yard), [None, None, None, Some(0), Some(1)]);
        (0..4).for_each(|_| yard.leave());
        assert_eq!(yard.free, 2);
        let ticket = yard.draw();
        assert_eq!(yard.ahead(ticket), None);
    }
}
