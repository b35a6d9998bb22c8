"""LSTMs, GRUs and their cells: what comes out, the states that are taken and given, and how it is written."""

import pytest
import torch
from torch import nn

from jax_tconv.interop._translate.translation import TranslationError, translate

from .check import check


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


class Outputs(nn.Module):
    """What comes out alone, in layers, directions, and both orders of batch and time."""

    def __init__(self):
        super().__init__()
        self.lstm, self.gru = nn.LSTM(4, 3, batch_first=True), nn.GRU(3, 4)
        self.deep = nn.LSTM(4, 2, 2, dropout=0.5, bidirectional=True, batch_first=True)
        self.both = nn.GRU(4, 3, num_layers=2, bidirectional=True)

    def forward(self, x):
        out, _ = self.lstm(x)
        time_first, last = self.gru(out.transpose(0, 1))
        del last
        deep = self.deep(time_first.permute(1, 0, 2))[0]
        both, _ = self.both(deep)
        return out, time_first, both, self.gru(out.select(0, 0))[0]


def test_what_comes_out():
    # Batch, time and features coincide.
    source = check(Outputs(), random(4, 4, 4), also=[(random(2, 5, 4),)])
    assert "out = self.lstm(x)" in source
    assert "return_carry" not in source


class States(nn.Module):
    """The last states, of which something is made in every way that people do."""

    def __init__(self):
        super().__init__()
        self.lstm, self.gru = nn.LSTM(4, 3, batch_first=True), nn.GRU(4, 3)
        self.deep = nn.LSTM(4, 3, 3, dropout=0.1, bidirectional=True, batch_first=True)
        self.both, self.fc = nn.GRU(4, 3, bidirectional=True, batch_first=True), nn.Linear(3, 2)

    def forward(self, x):
        _, (h, c) = self.lstm(x)
        out, hn = self.gru(x)
        deep, (h_n, c_n) = self.deep(x)
        _, last = self.both(x)
        return (
            self.fc(h[-1]), c, out, hn.squeeze(0), deep, h_n, c_n[0], torch.cat((h_n[-2, :, :], h_n[-1]), dim=1),
            last.transpose(0, 1).flatten(1), last.view(1, 2, x.shape[0], 3)[-1], self.lstm(x[0])[1][0],
        )  # fmt: skip


def test_last_states():
    source = check(States(), random(3, 3, 4), also=[(random(2, 5, 4),)])
    assert "carry, _ = self.lstm(x, return_carry=True)" in source
    assert "self.fc(carry[1])" in source


class Translator(nn.Module):
    """An encoder whose states a decoder begins with, and states from elsewhere."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.LSTM(3, 4, batch_first=True), nn.LSTM(2, 4, batch_first=True)
        self.deep, self.gru = nn.GRU(3, 4, 2, bidirectional=True, dropout=0.1), nn.GRU(3, 4, batch_first=True)
        self.first = nn.Parameter(random(1, 1, 4))

    def forward(self, x, y, state):
        _, state_of_encoder = self.encoder(x)
        decoded, (h, c) = self.decoder(y, state_of_encoder)
        zeros = torch.zeros(1, x.size(0), 4)
        plain, _ = self.encoder(x, (zeros, torch.zeros_like(zeros)))
        turned, _ = self.encoder(x, (c, h))
        learned, last = self.gru(x, self.first.repeat(1, x.size(0), 1))
        deep, end = self.deep(x.transpose(0, 1), state)
        again, _ = self.deep(x.transpose(0, 1), end)
        return decoded, plain, turned, learned, last, deep, end, again, h


def test_states_to_begin_with():
    given = random(2, 3, 3), random(2, 2, 2), random(4, 2, 4)
    source = check(Translator(), *given, also=[(random(4, 5, 3), random(4, 1, 2), random(4, 4, 4))])
    assert "initial_carry=carry" in source
    assert "plain = self.encoder(x)" in source


class Cells(nn.Module):
    """Cells in loops, with and without a state to begin with."""

    def __init__(self):
        super().__init__()
        self.lstm, self.gru, self.other = nn.LSTMCell(4, 3), nn.GRUCell(3, 3), nn.LSTMCell(3, 3)

    def forward(self, x, state):
        h, c = self.lstm(x[:, 0])
        hidden = None
        for n in range(1, 3):
            h, c = self.lstm(x[:, n], (h, c))
            hidden = self.gru(h, hidden)
        g, k = self.other(h, (state, c))
        return h, c, hidden, g, k, self.gru(hidden[0], state[0]), self.lstm(x[0, 0])[1]


def test_cells():
    source = check(Cells(), random(3, 3, 4), random(3, 3), also=[(random(2, 3, 4), random(2, 3))])
    assert "carry, h = self.lstm(carry, x[:, 1])" in source
    assert "self.gru(" in source


class Crnn(nn.Module):
    """Text from images: features of columns, read in both directions, in a Sequential."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(8, 5)
        self.rnn = nn.LSTM(4, 4, bidirectional=True)

    def forward(self, x):
        features = self.conv(x).mean(2).permute(2, 0, 1)
        out, _ = self.rnn(features)
        return self.head(out).log_softmax(2)


class LastOf(nn.Module):
    def forward(self, given):
        return given[0][:, -1]


class Holder(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers, LastOf())

    def forward(self, x):
        return self.layers(x)


def test_features_of_images_and_modules_in_a_sequential():
    check(Crnn(), random(2, 1, 4, 4), also=[(random(1, 1, 4, 6),)])
    check(Holder(nn.Linear(4, 4), nn.GRU(4, 3, batch_first=True)), random(2, 3, 4))


class Packed(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(4, 3, batch_first=True)

    def forward(self, x):
        packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([3, 2]), batch_first=True)
        return self.rnn(packed)[1]


@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")
@pytest.mark.parametrize(
    ("module", "words"),
    [
        (Holder(nn.LSTM(4, 3, proj_size=2)), "proj_size=2"),
        (Holder(nn.LSTM(4, 3, bias=False)), "bias=False"),
        (Packed(), "packed sequence"),
        (Holder(nn.RNN(4, 3)), "rnn_tanh"),
    ],
)
def test_what_flax_has_not_is_refused(module, words):
    with pytest.raises(TranslationError, match=words):
        translate(module, random(2, 3, 4))
