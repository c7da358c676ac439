//! Between the commands and the program around the server: what they ask of it (to stop, or to read its configuration
//! anew), and what it lets them know.
//!
//! The program takes the [`Order`]s from a bounded queue. Where nobody does (in tests, or offline), whoever asks is told.

use std::net::SocketAddr;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

/// Orders that wait for the program. One is being worked on and one may come meanwhile; more make no sense.
const ORDERS_MAX: usize = 2;

/// Something only the program can do.
#[derive(Debug)]
pub enum Order {
    /// End every stream and the process.
    Stop,
    /// Read configuration and certificates anew; the answer says what became of it.
    Reload(oneshot::Sender<Result<String, String>>),
}

/// Why an order was not carried out.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// No program takes orders.
    #[error("nothing here can do that: no server is running")]
    Nobody,
    /// It has enough to do.
    #[error("the server is busy with the last such command")]
    Busy,
    /// It was tried and refused.
    #[error("{0}")]
    Refused(String),
}

/// The queue between the commands and the program.
#[derive(Debug)]
pub struct Control {
    orders: mpsc::Sender<Order>,
    taken_by: Mutex<Option<mpsc::Receiver<Order>>>,
    listening: Mutex<Vec<SocketAddr>>,
}

impl Default for Control {
    fn default() -> Self {
        let (orders, taken_by) = mpsc::channel(ORDERS_MAX);
        Self { orders, taken_by: Mutex::new(Some(taken_by)), listening: Mutex::default() }
    }
}

impl Control {
    /// The receiving end; once, for the program.
    pub fn take_orders(&self) -> Option<mpsc::Receiver<Order>> {
        self.taken_by.lock().take()
    }

    /// Asks the program to stop. Returns at once.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn stop(&self) -> Result<(), ControlError> {
        self.give(Order::Stop)
    }

    /// Asks the program to read its configuration anew, and waits for what became of it.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn reload(&self) -> Result<String, ControlError> {
        let (answer, answered) = oneshot::channel();
        self.give(Order::Reload(answer))?;
        answered.await.map_err(|_| ControlError::Nobody)?.map_err(ControlError::Refused)
    }

    /// The addresses where clients can connect now, with the ports that the system chose for port 0.
    pub fn listening(&self) -> Vec<SocketAddr> {
        self.listening.lock().clone()
    }

    /// Says where clients can connect from now on.
    pub fn set_listening(&self, addresses: Vec<SocketAddr>) {
        *self.listening.lock() = addresses;
    }

    fn give(&self, order: Order) -> Result<(), ControlError> {
        // as long as the receiving end lies here, nobody takes orders
        if self.taken_by.lock().is_some() {
            return Err(ControlError::Nobody);
        }
        self.orders.try_send(order).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ControlError::Busy,
            mpsc::error::TrySendError::Closed(_) => ControlError::Nobody,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_order_reaches_the_program_and_comes_back() {
        let control = Control::default();
        assert_eq!(control.stop(), Err(ControlError::Nobody), "nobody has taken the queue");
        let mut orders = control.take_orders().unwrap();
        assert!(control.take_orders().is_none());
        let program = async {
            let Some(Order::Reload(answer)) = orders.recv().await else { panic!("another order") };
            answer.send(Err("line 3: what is this".into())).unwrap();
        };
        let (refused, ()) = tokio::join!(control.reload(), program);
        assert_eq!(refused, Err(ControlError::Refused("line 3: what is this".into())));
        assert_eq!((control.stop(), control.stop()), (Ok(()), Ok(())));
        assert_eq!(control.stop(), Err(ControlError::Busy));
        drop(orders);
        assert_eq!(control.stop(), Err(ControlError::Nobody));
    }
}
