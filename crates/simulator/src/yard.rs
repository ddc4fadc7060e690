//! The gate of a terminal: it admits a limited number of lorries; the others wait first-come, first-served.
//!
//! The queue is not searched. Tickets are numbered in order of arrival; a ticket is admitted once the counter of
//! admitted lorries has passed its number.

/// The gate of a terminal.
#[derive(Clone, Debug)]
pub(super) struct Yard {
    /// Free places inside.
    free: u32,
    /// Number of the next ticket.
    next: u32,
    /// Tickets below this number are admitted.
    admitted: u32,
}

/// A position in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u32);

impl Yard {
    pub(super) fn new(bays: u32) -> Self {
        Self { free: bays, next: 0, admitted: 0 }
    }

    /// Draws a ticket for a lorry that arrives at the gate.
    pub(super) fn draw(&mut self) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        if self.free > 0 {
            self.free -= 1;
            self.admitted += 1;
        }
        ticket
    }

    /// Number of lorries to be admitted first; `None` if the holder is admitted.
    pub(super) fn ahead(&self, ticket: Ticket) -> Option<u32> {
        ticket.0.checked_sub(self.admitted)
    }

    /// Frees the place of a lorry that leaves.
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
